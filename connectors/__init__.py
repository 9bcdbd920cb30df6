"""Packs: data only, one folder an ERP."""
