"""Search indexes that a server keeps, one file per kind of server; see `base.RemoteIndex`."""
