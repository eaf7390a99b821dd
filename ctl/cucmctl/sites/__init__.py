"""Reaches the daemons of other sites over SSH. The daemons know nothing about it.

    places.py      reads sites.toml: the names of the sites, and where they are
    connection.py  connects to the daemon of a site: a process of `ssh` for each connection
    several.py     runs a verb at one site, or at several sites at the same time

    cucmctl -> a process of ssh -> sshd of the site -> the socket of the daemon

The daemon asks the kernel which user has opened its socket. Over SSH that is the user who has
logged in, so the roles and limits of a site hold for this user as for anybody there.
"""
