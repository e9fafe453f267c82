"""What every push service has in common: a call a device, one outcome a message, tokens that die, signed claims."""
