"""Offers the daemon's jobs to an assistant, by the Model Context Protocol (extra `mcp`).

    server.py    makes the server, as the SDK wants it, from the tools; asks the person, and refuses
    tools.py     the tools, one method each, and for whom they are called
    answers.py   PURE  makes answers fit on a page

The server runs on trio. Importing this package does not load the SDK.
"""
