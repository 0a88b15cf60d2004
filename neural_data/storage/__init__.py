"""Files as such: netCDF, HDF5, images, tables and checksums."""
