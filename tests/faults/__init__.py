"""The fault campaign: each fault under load on the real servers, healed, and the numbers compared. `make faults`."""
