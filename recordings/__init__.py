"""Where recordings come from; every source ends in the same HDF5 file (see ``recordings.schema``)."""
