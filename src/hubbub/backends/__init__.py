"""What nodes share: membership, directory, publishing. One contract (`base`), several stores."""
