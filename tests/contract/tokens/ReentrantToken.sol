// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// Calls out in the middle of a transfer, as tokens with hooks do (ERC-777), and may move less than told. The call is
/// made by the token itself, which can hold tokens and lock them.
contract ReentrantToken is ERC20("Reentrant", "RE") {
    address private target;
    bytes private call;
    uint256 private shortfall;
    /// What the last call was answered; `succeeded` says how.
    bytes public answer;
    bool public succeeded;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// The token's own allowance, for locks that it makes itself.
    function approveFromSelf(address spender, uint256 amount) external {
        _approve(address(this), spender, amount);
    }

    /// In the next transfer or transferFrom: make this call, and move `less` too little.
    function plan(address to, bytes calldata data, uint256 less) external {
        (target, call, shortfall) = (to, data, less);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return super.transfer(to, amount - _callOut());
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return super.transferFrom(from, to, amount - _callOut());
    }

    function _callOut() private returns (uint256 less) {
        if (target == address(0)) return 0;
        (address to, bytes memory data) = (target, call);
        (less, target) = (shortfall, address(0));
        (succeeded, answer) = to.call(data);
    }
}
