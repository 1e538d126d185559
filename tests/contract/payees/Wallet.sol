// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// A contract that signs by ERC-1271: each digest its owner has approved, with the signature agreed for it.
contract Wallet {
    mapping(bytes32 digest => bytes32) private approved;

    function approve(bytes32 digest, bytes calldata signature) external {
        approved[digest] = keccak256(signature);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return approved[digest] == keccak256(signature) ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
