;; Writes where it is told to. The argument: pairs of address and value (u32 each); an address of 0xffffffff grows the
;; memory by a page instead, 0xfffffffe grows stable memory, 0xfffffffd traps. Values at even addresses go to the heap,
;; at odd ones to stable memory.
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (memory 4)
  (global $count (mut i64) (i64.const 0))
  (func $poke (local $at i32) (local $end i32) (local $address i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (local.set $end (call $arg_size))
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (global.set $count (i64.add (global.get $count) (i64.const 1)))
          (local.set $address (i32.load (local.get $at)))
          (if (i32.eq (local.get $address) (i32.const 0xfffffffd)) (then (unreachable)))
          (if (i32.eq (local.get $address) (i32.const 0xffffffff)) (then (drop (memory.grow (i32.const 1))))
            (else (if (i32.eq (local.get $address) (i32.const 0xfffffffe)) (then (drop (call $stable_grow (i64.const 1))))
              (else (if (i32.and (local.get $address) (i32.const 1))
                (then (call $stable_write
                  (i64.extend_i32_u (local.get $address)) (i64.extend_i32_u (i32.add (local.get $at) (i32.const 4))) (i64.const 4)))
                (else (i32.store (local.get $address) (i32.load (i32.add (local.get $at) (i32.const 4))))))))))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br $next))))
    (call $reply))
  (export "canister_update poke" (func $poke))
  (export "canister_query peek" (func $poke))
)
