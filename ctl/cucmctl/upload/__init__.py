"""Encrypts a file and hands it over to a server.

destination.py  PURE  turns what was typed, such as `cxd`, into the address of the new file
https_put.py    sends the file by HTTPS PUT. Only this file loads urllib3
sftp_put.py     sends the file with the program `sftp` of the system
encryption.py   encrypts the file with the program `gpg`, or into a zip with a password
target.py       PURE  reads the targets in the configuration of other programs
program.py      runs `gpg` and `sftp`
"""
