"""How the packaged text encoder comes to be; needs the extra `encoder`."""
