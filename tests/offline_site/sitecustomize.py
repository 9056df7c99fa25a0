"""Refuse every connection beyond loopback in this Python process."""

import ipaddress
import socket


def _refuse(address):
    host = address[0] if isinstance(address, tuple) else None
    if host is None or host in ("localhost", ""):  # a Unix socket, or this machine
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass  # a name that would have to be looked up
    raise OSError(f"the network is off in tests: no connection to {host}")


class _Socket(socket.socket):
    def connect(self, address):
        _refuse(address)
        return super().connect(address)

    def connect_ex(self, address):
        _refuse(address)
        return super().connect_ex(address)

    def sendto(self, data, *where):
        _refuse(where[-1])
        return super().sendto(data, *where)


def _guarded(look_up):
    def guarded(host, *args, **options):
        if host is not None:
            _refuse((host,))
        return look_up(host, *args, **options)

    return guarded


socket.socket = _Socket
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    setattr(socket, name, _guarded(getattr(socket, name)))
