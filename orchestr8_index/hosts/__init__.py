"""How is the server entered in a host's own configuration, and taken out again?"""
