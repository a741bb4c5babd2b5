"""Value models made elsewhere: read, judged and written as files that keep the contract."""
