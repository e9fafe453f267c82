"""The SMTP sink for tests: `python -m clarion.testing.smtp --port 0`, or `SmtpSink.start()`.

It lives with the SMTP adapter, because `clarion demo` starts it too and production imports nothing from here.
"""

from __future__ import annotations

from clarion.adapters.providers.smtp.sink import main
from clarion.adapters.providers.smtp.sink_model import Fault, SinkMessage, SinkOptions, SinkReport
from clarion.adapters.providers.smtp.sink_process import SmtpSink

__all__ = ["Fault", "SinkMessage", "SinkOptions", "SinkReport", "SmtpSink"]

if __name__ == "__main__":
    main()
