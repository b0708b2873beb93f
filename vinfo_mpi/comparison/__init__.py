"""Several runs beside each other: layers, concepts at each other's layers, matched concepts."""
