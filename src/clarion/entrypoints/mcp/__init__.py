"""`clarion mcp`: an instance as tools of the Model Context Protocol, over stdin and stdout.

reading.py   what an assistant may look at, any time
sending.py   plans, and the confirmation without which none of them is carried out
server.py    the tools by name, and the process
"""

from __future__ import annotations
