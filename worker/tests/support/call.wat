(param $binding i32)
    (param $trigger i32) (param $has_velocity i32) (param $velocity i32) (param $has_mode i32) (param $mode i32)
    (param $has_device i32) (param $device i32) (param $has_message i32) (param $status i32) (param $first i32)
    (param $second i32) (param $timestamp_ms i64) (param $monotonic_ns i64)
