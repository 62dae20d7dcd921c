"""Storage: files written whole and read with care: checksums, locks, no links, strict JSON."""
