"""What things are: contracts, tables, records, errors. Standard library, pyarrow and YAML; imports nothing of ours."""
