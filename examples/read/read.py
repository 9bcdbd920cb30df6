"""What may be promised of an item. Usage: python read.py REDIS_URL ITEM WAREHOUSE MAX_AGE_SECONDS."""

import re
import sys
from datetime import UTC, datetime, timedelta

import redis

url, *codes, max_age = sys.argv[1:]
item, warehouse = (re.sub(r"[:{},=~%\x00-\x20\x7f]", lambda c: f"%{ord(c[0]):02X}", code) for code in codes)
together = redis.Redis.from_url(url, decode_responses=True).pipeline(transaction=True)  # MULTI .. EXEC
together.hgetall(f"stock:{{{item}}}:{warehouse}")
together.hgetall("stock:meta")
level, meta = together.execute()
age = datetime.now(UTC) - datetime.fromisoformat(meta.get("as_of", "1970-01-01T00:00:00Z"))
state = level.get("degraded", meta.get("state", "nothing served"))
if state != "live" or age > timedelta(seconds=float(max_age)):
    sys.exit(f"not to be relied on: {state}, {age.total_seconds():.1f} s old")
print(level.get("available", "0"))
