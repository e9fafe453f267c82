"""The ways in: HTTP, argv and processes. The only code that knows them."""

from __future__ import annotations

import os

# Read by numpy when it is first imported, which is after this. Predictions are products of small matrices: a second
# thread takes longer to come than they last (500 users: 3.5 ms, and 5 to 35 ms with two threads on a busy machine).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
