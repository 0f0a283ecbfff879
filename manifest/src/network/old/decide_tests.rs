//! The rules of [`super::decide`], each as a case.
