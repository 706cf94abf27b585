"""What do the hooks of a host tell, and what do they hear?"""
