"""Text files of band powers: `csv` and `plain_yaml` find the fields, as `nodes`, and `fields` makes
band powers of them."""
