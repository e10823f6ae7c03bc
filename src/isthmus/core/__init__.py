"""What every front shares: ids, idempotency, tags, records, and the verbs over all configured clouds."""
