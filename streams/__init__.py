"""The Faust shell: whole fetched batches in, published offsets out. Only here is Faust known."""
