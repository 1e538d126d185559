// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// A payee that is a contract: it may refuse money, or call back when it is paid.
contract Payee {
    bool public refusing;
    address private target;
    bytes private call;
    uint256 public timesPaid;
    bytes public answer;
    bool public succeeded;

    function refuse(bool yes) external {
        refusing = yes;
    }

    /// Make this call, with no value, each time money comes.
    function plan(address to, bytes calldata data) external {
        (target, call) = (to, data);
    }

    /// Do anything in this contract's name.
    function act(address to, bytes calldata data) external payable returns (bytes memory) {
        (bool success, bytes memory result) = to.call{value: msg.value}(data);
        require(success, "refused");
        return result;
    }

    function actTwice(address to, bytes calldata first, bytes calldata second) external {
        this.act(to, first);
        this.act(to, second);
    }

    receive() external payable {
        require(!refusing, "no, thank you");
        ++timesPaid; // more than the 2300 gas of `transfer` allow
        if (target != address(0)) (succeeded, answer) = target.call(call);
    }
}
