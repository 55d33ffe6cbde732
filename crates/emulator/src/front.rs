//! The front: listeners, HTTP, TLS, signatures and frames. The session behind it sees JSON only.
