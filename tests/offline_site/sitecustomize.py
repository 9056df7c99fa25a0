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


_look_up = socket.getaddrinfo


def _getaddrinfo(host, *args, **options):
    if host is not None:
        _refuse((host,))
    return _look_up(host, *args, **options)


socket.socket = _Socket
socket.getaddrinfo = _getaddrinfo
