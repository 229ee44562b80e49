//! data_path
