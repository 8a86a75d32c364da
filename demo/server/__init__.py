"""The HTTP server, with bounds that uvicorn lacks.

serve      the listening socket, and the server made for it
deadlines  how many connections there may be, and how long each may keep the server waiting
"""
