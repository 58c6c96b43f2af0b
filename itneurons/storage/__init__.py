"""Files that appear whole or not at all, arrays that know what they were made of, tensors that outgrow memory."""
