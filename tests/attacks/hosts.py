"""200 ways to write where nobody outside may reach, and what a resolver makes of them."""

from __future__ import annotations

import socket
from typing import Final

_V4: Final = {
    "loopback": ["127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254"],
    "this host": ["0.0.0.0", "0.0.0.1", "0.255.255.255"],  # noqa: S104  nothing is bound to them
    "private": [
        *("10.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.20.10.1", "172.31.255.254"),
        *("192.168.0.1", "192.168.1.254", "192.168.255.255"),
    ],
    "carrier": ["100.64.0.1", "100.100.100.200", "100.127.255.254"],
    "link": ["169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.255.254"],
    "reserved": [
        *("192.0.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.254", "198.51.100.7"),
        *("203.0.113.9", "240.0.0.1", "255.255.255.255"),
    ],
    "multicast": ["224.0.0.1", "239.255.255.250"],
}
PLAIN: Final = [address for group in _V4.values() for address in group]

_WRITTEN_OUT: Final = [
    *("::", "::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0.0.0.1", "::127.0.0.1"),
    *("fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fdff::1"),
    *("ff01::1", "ff02::1", "ff05::2", "100::1", "2001:db8::1", "2001::1", "2001:0:7f00:1::"),
    *("2002:7f00:1::", "2002:a00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    *("64:ff9b::169.254.169.254", "64:ff9b:1::1", "3fff::1", "5f00::1"),
]

_NAMES: Final = [
    *("localhost", "LOCALHOST", "LocalHost", "localhost.", "localhost.localdomain", "ip6-localhost"),
    *("127.0.0.1.", "metadata.google.internal", "metadata", "instance-data", "kubernetes.default.svc"),
    *("host.docker.internal", "router.local", "127.0.0.1.nip.example", "spoofed.burpcollaborator.example"),
]

_DIGITS: Final = [
    str.maketrans("0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"),
    str.maketrans("0123456789", "\u24ea\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468"),
    str.maketrans(".", "\u3002"),
    str.maketrans(".", "\uff0e"),
    str.maketrans(".", "\uff61"),
]


def _odd(address: str) -> list[str]:
    """One IPv4 address in the forms that `inet_aton` reads."""
    a, b, c, d = (int(part) for part in address.split("."))
    whole = a << 24 | b << 16 | c << 8 | d
    return [
        str(whole),
        hex(whole),
        f"0{whole:o}",
        f"{a}.{whole & 0xFFFFFF}",
        f"{a}.{b}.{whole & 0xFFFF}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"0x{a:x}.{b}.0{c:o}.{d}",
    ]


def _hosts() -> list[str]:
    inside = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.100.100.200")
    odd = [form for address in inside for form in _odd(address)]
    mapped = [f"[::ffff:{address}]" for address in PLAIN]
    mapped += [f"[{text}]" for address in ("127.0.0.1", "10.0.0.1") for text in _in_hex(address)]
    six = [f"[{address}]" for address in _WRITTEN_OUT]
    zoned = ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%25lo]"]
    lettered = ["127.0.0.1".translate(table) for table in _DIGITS]
    lettered += ["169.254.169.254".translate(table) for table in _DIGITS]
    escaped = ["127.0.0.%31", "%31%32%37.0.0.1", "loc%61lhost", "127%2e0%2e0%2e1"]
    return [*PLAIN, *odd, *mapped, *six, *zoned, *_NAMES, *lettered, *escaped, *_dressed()]


def _in_hex(address: str) -> list[str]:
    a, b, c, d = (int(part) for part in address.split("."))
    tail = f"{a << 8 | b:x}:{c << 8 | d:x}"
    return [f"::ffff:{tail}", f"0:0:0:0:0:ffff:{tail}", f"::ffff:0:{tail}"]


def _dressed() -> list[str]:
    """Authorities that begin like somebody else's."""
    return [
        "hooks.example.com@127.0.0.1",
        "hooks.example.com:443@127.0.0.1",
        "hooks.example.com%40127.0.0.1",
        "hooks.example.com#@127.0.0.1",
        "hooks.example.com\\@127.0.0.1",
        "127.0.0.1\\@hooks.example.com",
        "127.0.0.1;hooks.example.com",
        "127.0.0.1,hooks.example.com",
        "hooks.example.com\t.127.0.0.1",
        "127.0.0.1 hooks.example.com",
        "hooks.example.com\r\nHost: 127.0.0.1",
        "127.0.0.1\x00.example.com",
        "[::1].example.com",
        "[127.0.0.1]",
        "[::1",
        "",
    ]


HOSTS: Final = list(dict.fromkeys(_hosts()))


def resolve(host: str) -> list[str]:
    """What the laxest resolver says: odd forms are addresses, and every other name leads to this machine."""
    try:
        return [socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))]
    except (OSError, UnicodeError, ValueError):
        return ["127.0.0.1"]
