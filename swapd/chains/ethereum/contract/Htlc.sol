// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// What is used of an ERC-20 token.
interface IERC20 {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// A contract that can say whether a signature is its own (ERC-1271).
interface IERC1271 {
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4);
}

/// @title Hash time locked contracts for ETH and ERC-20 tokens, one storage slot each
///
/// @notice A lock pays its receiver when anybody shows the 32-byte preimage of its hashlock, and its sender when
/// anybody asks for it at or after the timelock, or earlier with the receiver's signature. Whoever sends the
/// transaction chooses nothing: both payees are fixed by the lock. There is no owner, no fee and no upgrade.
///
/// @dev A lock is found by its id, the hash of chain id, this address and all its terms. Nothing else about it is
/// stored: callers repeat the terms, and terms that were never locked have an id that is not locked.
///
/// Storage: the slot whose key is the id itself holds the lock's state. A mapping would hash the id once more to keep
/// variables apart, but there is no other variable in storage, and an id is a hash already.
///
/// Names: functions are looked for in the order of their selectors, 22 gas a step, so among names that say the same
/// `lockErc20`, the one with least gas to spare, has the lowest.
contract Htlc {
    /// Absent: never locked, or finished after fundBy. Locked: holds money. Closed: finished at or before fundBy.
    enum State {
        Absent,
        Locked,
        Closed
    }

    /// All that a lock commits to.
    ///
    /// hashlock          SHA-256 of the preimage
    /// token             ERC-20 contract, or zero for ETH
    /// amount            in the smallest unit, wei for ETH
    /// sender            who locked, and is paid by a refund
    /// receiverAndTimes  `abi.encodePacked(uint48 fundBy, uint48 timelock, address receiver)`, times in Unix seconds.
    ///                   A lock is mined at or before fundBy or never, may be refunded from the timelock on, and pays
    ///                   the receiver when claimed. One word for three: 128 gas less calldata in every call, and 256
    ///                   less log data in every lock.
    struct Terms {
        bytes32 hashlock;
        address token;
        uint256 amount;
        address sender;
        bytes32 receiverAndTimes;
    }

    /// Terms with the preimage in the hashlock's place.
    struct Claim {
        bytes32 preimage;
        address token;
        uint256 amount;
        address sender;
        bytes32 receiverAndTimes;
    }

    /// Terms of one ETH lock in a batch; its sender is the caller.
    struct Lock {
        bytes32 hashlock;
        uint256 amount;
        bytes32 receiverAndTimes;
    }

    /// Money is in. Carries all terms, so that whoever expected other terms can say what differs.
    event Locked(
        bytes32 indexed id,
        bytes32 indexed hashlock,
        address token,
        uint256 amount,
        address sender,
        bytes32 receiverAndTimes
    );
    /// The receiver was paid, and the preimage is public.
    event Claimed(bytes32 indexed id, bytes32 preimage);
    /// The sender was paid back.
    event Refunded(bytes32 indexed id);

    error ZeroAmount();
    error ZeroReceiver();
    /// The transaction came too late: it locks no money.
    error FundingClosed(uint256 fundBy);
    /// fundBy must lie before the timelock.
    error TimesOutOfOrder();
    /// These terms were locked before, and never can be again.
    error UsedBefore(bytes32 id);
    /// No open lock has these terms: never locked, already finished, or a wrong preimage or term.
    error NotLocked(bytes32 id);
    error NotDue(uint256 timelock);
    error NotSignedByReceiver();
    /// The value sent is not the sum of the batch.
    error WrongValue(uint256 expected);
    /// The balance rose by something else than the amount: the token takes a fee, or did not move the money (zero).
    error WrongAmountReceived(uint256 received);
    /// The token or the payee refused. Nothing has changed; it may be tried again.
    error TransferFailed();
    /// A token called back into `lockErc20`.
    error Reentered();

    uint256 private constant ABSENT = uint256(State.Absent);
    uint256 private constant LOCKED = uint256(State.Locked);
    uint256 private constant CLOSED = uint256(State.Closed);

    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant COOPERATIVE_REFUND_TYPE = keccak256(
        "CooperativeRefund(bytes32 hashlock,address token,uint256 amount,address sender,address receiver,uint256 fundBy,uint256 timelock)"
    );
    /// Half the order of secp256k1: of the two forms of a signature only the lower counts (EIP-2).
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// Set while `lockErc20` measures what arrives, so that another lock's money is never counted as this one's.
    uint256 private transient receiving;

    // ---------------------------------------------------------------- lock

    /// Locks the ETH sent.
    function lockEther(bytes32 hashlock, bytes32 receiverAndTimes) external payable {
        _open(hashlock, address(0), msg.value, receiverAndTimes);
    }

    /// Locks `amount` of `token`, which the caller has allowed this contract to take.
    function lockErc20(bytes32 hashlock, address token, uint256 amount, bytes32 receiverAndTimes) external {
        if (receiving != 0) revert Reentered();
        receiving = 1;
        uint256 received = _pull(token, amount);
        if (received != amount) revert WrongAmountReceived(received);
        receiving = 0;

        // Only now, with the money in: whatever the token did meanwhile, it did not find this lock.
        _open(hashlock, token, amount, receiverAndTimes);
    }

    /// Makes all the ETH locks or none; the value sent is exactly their sum.
    function batchLock(Lock[] calldata locks) external payable {
        uint256 sum;
        for (uint256 i; i < locks.length; ++i) {
            Lock calldata each = locks[i];
            sum += each.amount;
            _open(each.hashlock, address(0), each.amount, each.receiverAndTimes);
        }
        if (sum != msg.value) revert WrongValue(sum);
    }

    // ---------------------------------------------------------------- claim

    /// Pays the receiver. Open to anybody, and for as long as nobody has refunded: an honest claim that comes late
    /// must not fail after it has made the preimage public.
    function claim(Claim calldata terms) external {
        _claim(terms);
        _pay(terms.token, _receiver(terms.receiverAndTimes), terms.amount);
    }

    /// Makes all the claims or none. Consecutive claims of one token for one receiver are paid in one transfer.
    function batchClaim(Claim[] calldata claims) external {
        for (uint256 i; i < claims.length; ++i) {
            _claim(claims[i]);
        }
        for (uint256 i; i < claims.length;) {
            address token = claims[i].token;
            address receiver = _receiver(claims[i].receiverAndTimes);
            uint256 sum = claims[i].amount;
            while (++i < claims.length) {
                if (claims[i].token != token || _receiver(claims[i].receiverAndTimes) != receiver) break;
                sum += claims[i].amount;
            }
            _pay(token, receiver, sum);
        }
    }

    // ---------------------------------------------------------------- refund

    /// Pays the sender back, from the timelock on. Open to anybody.
    function refund(Terms calldata terms) external {
        uint256 timelock = _timelock(terms.receiverAndTimes);
        if (block.timestamp < timelock) revert NotDue(timelock);
        _refund(terms, true); // the timelock comes after fundBy
    }

    /// Pays the sender back at any time, with the receiver's signature (EIP-712, or ERC-1271 of a contract). Open to
    /// anybody. The signature needs no nonce: these terms are locked once only.
    function cooperativeRefund(Terms calldata terms, bytes calldata signature) external {
        address receiver = _receiver(terms.receiverAndTimes);
        uint256 fundBy = _fundBy(terms.receiverAndTimes);
        bytes32 message = keccak256(
            abi.encode(
                COOPERATIVE_REFUND_TYPE,
                terms.hashlock,
                terms.token,
                terms.amount,
                terms.sender,
                receiver,
                fundBy,
                _timelock(terms.receiverAndTimes)
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainSeparator(), message));
        if (!_signed(receiver, digest, signature)) revert NotSignedByReceiver();
        _refund(terms, block.timestamp > fundBy);
    }

    // ---------------------------------------------------------------- views

    /// The id of a lock with these terms, whether it exists or not:
    /// `keccak256(abi.encode(chain id, this address, hashlock, token, amount, sender, receiverAndTimes))`.
    function lockId(Terms calldata terms) external view returns (bytes32) {
        return _id(terms);
    }

    function stateOf(bytes32 id) external view returns (State) {
        return State(_load(id));
    }

    /// EIP-712 domain, computed on each call so that a chain that splits off has its own.
    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPE, keccak256("swapd HTLC"), keccak256("1"), block.chainid, address(this))
        );
    }

    // ---------------------------------------------------------------- state

    /// Absent to Locked, for money that is in.
    function _open(bytes32 hashlock, address token, uint256 amount, bytes32 receiverAndTimes) private {
        if (amount == 0) revert ZeroAmount();
        if (_receiver(receiverAndTimes) == address(0)) revert ZeroReceiver();
        uint256 fundBy = _fundBy(receiverAndTimes);
        if (block.timestamp > fundBy) revert FundingClosed(fundBy);
        if (fundBy >= _timelock(receiverAndTimes)) revert TimesOutOfOrder();

        // In assembly because the words that make the id end in those that make the event's data: they are written
        // once and used twice.
        bytes32 id;
        uint256 words;
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            mstore(add(words, 0x40), hashlock)
            mstore(add(words, 0x60), token)
            mstore(add(words, 0x80), amount)
            mstore(add(words, 0xa0), caller())
            mstore(add(words, 0xc0), receiverAndTimes)
            id := keccak256(words, 0xe0)
        }
        if (_load(id) != ABSENT) revert UsedBefore(id);
        _store(id, LOCKED);
        bytes32 topic = Locked.selector;
        assembly ("memory-safe") {
            log3(add(words, 0x60), 0x80, topic, id, hashlock)
        }
    }

    /// Locked to finished. As long as the same terms could be locked again, up to fundBy, the slot must say that they
    /// were used. Later fundBy itself forbids it, and the slot is emptied for the gas that this gives back.
    function _finish(bytes32 id, bool fundingOver) private {
        if (_load(id) != LOCKED) revert NotLocked(id);
        _store(id, fundingOver ? ABSENT : CLOSED);
    }

    /// Everything of a claim but the payment.
    function _claim(Claim calldata terms) private {
        bytes32 id = _id(terms);
        _finish(id, block.timestamp > _fundBy(terms.receiverAndTimes));
        emit Claimed(id, terms.preimage);
    }

    function _refund(Terms calldata terms, bool fundingOver) private {
        bytes32 id = _id(terms);
        _finish(id, fundingOver);
        emit Refunded(id);
        // Solidity would check both addresses for stray high bits. There are none: the id was locked.
        address token;
        address sender;
        assembly ("memory-safe") {
            token := calldataload(add(terms, 0x20))
            sender := calldataload(add(terms, 0x60))
        }
        _pay(token, sender, terms.amount);
    }

    function _load(bytes32 id) private view returns (uint256 state) {
        assembly ("memory-safe") {
            state := sload(id)
        }
    }

    function _store(bytes32 id, uint256 state) private {
        assembly ("memory-safe") {
            sstore(id, state)
        }
    }

    /// In assembly to copy the terms in one piece. Addresses are not checked for stray high bits here: with such, the
    /// id is one that `_open` never made.
    function _id(Terms calldata terms) private view returns (bytes32 id) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            calldatacopy(add(words, 0x40), terms, 0xa0)
            id := keccak256(words, 0xe0)
        }
    }

    /// The same, with SHA-256 of the preimage written over the preimage. Were the precompile's answer not checked,
    /// a failed call would leave the preimage standing, and the hashlock itself would open the lock.
    function _id(Claim calldata terms) private view returns (bytes32 id) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            let hashlock := add(words, 0x40)
            calldatacopy(hashlock, terms, 0xa0)
            let hashed := staticcall(gas(), 2, hashlock, 0x20, hashlock, 0x20)
            if iszero(and(hashed, eq(returndatasize(), 0x20))) { revert(0, 0) }
            id := keccak256(words, 0xe0)
        }
    }

    function _receiver(bytes32 receiverAndTimes) private pure returns (address) {
        return address(uint160(uint256(receiverAndTimes)));
    }

    function _fundBy(bytes32 receiverAndTimes) private pure returns (uint256) {
        return uint256(receiverAndTimes) >> 208;
    }

    function _timelock(bytes32 receiverAndTimes) private pure returns (uint256) {
        return uint48(uint256(receiverAndTimes) >> 160);
    }

    // ---------------------------------------------------------------- money

    /// Takes `amount` from the caller, and measures what came. It is zero if the token did not answer as it should: two
    /// balances, and true or nothing to the transfer. That there is a contract at all shows in the balances.
    ///
    /// In assembly because Solidity would build each call's data and copy each answer anew: 1,000 gas more.
    function _pull(address token, uint256 amount) private returns (uint256 received) {
        bytes32 balanceOf = IERC20.balanceOf.selector;
        bytes32 transferFrom = IERC20.transferFrom.selector;
        assembly ("memory-safe") {
            let balanceCall := mload(0x40)
            mstore(balanceCall, balanceOf)
            mstore(add(balanceCall, 0x04), address())
            let transferCall := add(balanceCall, 0x24)
            mstore(transferCall, transferFrom)
            mstore(add(transferCall, 0x04), caller())
            mstore(add(transferCall, 0x24), address())
            mstore(add(transferCall, 0x44), amount)

            let obeyed := staticcall(gas(), token, balanceCall, 0x24, 0, 0x20)
            obeyed := and(obeyed, gt(returndatasize(), 0x1f))
            let before := mload(0)

            obeyed := and(call(gas(), token, 0, transferCall, 0x64, 0, 0x20), obeyed)
            obeyed := and(obeyed, or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), eq(mload(0), 1))))

            obeyed := and(staticcall(gas(), token, balanceCall, 0x24, 0, 0x20), obeyed)
            obeyed := and(obeyed, gt(returndatasize(), 0x1f))
            // A balance that fell wraps to a number that no token can have been asked to move
            received := mul(obeyed, sub(mload(0), before))
        }
    }

    /// The last thing any function does: all state is written before, so nothing is won by calling back.
    function _pay(address token, address payee, uint256 amount) private {
        bool paid;
        if (token == address(0)) {
            // All gas is passed on, for payees that are contracts. What they return is not copied: it could be huge.
            assembly ("memory-safe") {
                paid := call(gas(), payee, amount, 0, 0, 0, 0)
            }
        } else {
            // Some tokens return nothing (USDT), and so does an address without code: that one has not paid.
            bytes memory data = abi.encodeCall(IERC20.transfer, (payee, amount));
            assembly ("memory-safe") {
                paid := call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0x20)
                switch returndatasize()
                case 0 { paid := and(paid, gt(extcodesize(token), 0)) }
                default { paid := and(paid, and(gt(returndatasize(), 0x1f), eq(mload(0), 1))) }
            }
        }
        if (!paid) revert TransferFailed();
    }

    // ---------------------------------------------------------------- signatures

    /// Whether `signer` signed: by its key, or, having code, by its own word. Key first, because an account with a
    /// key may have code too (EIP-7702).
    function _signed(address signer, bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (signature.length == 65) {
            bytes32 r = bytes32(signature[0:32]);
            bytes32 s = bytes32(signature[32:64]);
            uint8 v = uint8(signature[64]);
            address key = uint256(s) > HALF_ORDER ? address(0) : ecrecover(digest, v, r, s);
            if (key != address(0) && key == signer) return true;
        }
        if (signer.code.length == 0) return false;
        (bool success, bytes memory result) =
            signer.staticcall(abi.encodeCall(IERC1271.isValidSignature, (digest, signature)));
        return success && result.length >= 32 && bytes32(result) == bytes32(IERC1271.isValidSignature.selector);
    }
}
