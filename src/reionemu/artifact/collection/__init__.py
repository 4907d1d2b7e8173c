"""Many records: finding them below a folder, filtering, comparing.

records        catalogue: a sequence of entries
entry          what is known of one, by dotted path
scan, glance   walking a folder; one look at one folder
listing_cache  what was read last time
query          conditions such as "metrics.val_loss<0.1"
values         numbers, times and ages in them and in records
difference     two records; kinship: what their data have in common
side_by_side   several
"""
