"""onhand: from a row change in the ERP's database to a stock level in Redis."""
