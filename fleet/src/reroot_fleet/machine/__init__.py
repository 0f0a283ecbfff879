"""One machine, as the fleet sees it: ssh and the `.reroot` file's JSON, nothing else."""
