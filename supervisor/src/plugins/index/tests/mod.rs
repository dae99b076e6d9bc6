mod accepting;
mod applying;
mod building;
mod choosing;
mod parsing;
