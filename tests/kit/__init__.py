"""What several tests share: boards, run folders, processes, machines that are made up."""
