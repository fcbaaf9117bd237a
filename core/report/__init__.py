"""What a result looks like as a whole: figures, pictures and a page of both."""
