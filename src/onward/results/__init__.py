"""Results: statistics over recorded runs, and the tables and pages that are made from them."""
