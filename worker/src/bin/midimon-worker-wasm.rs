use wasmtime as _;
fn main() {}
