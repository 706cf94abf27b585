"""The web page of the server: its static files, and the headers with which they are sent."""
