"""How fast Isthmus is, beside moto and beside a bare server that only sends the same bytes."""
