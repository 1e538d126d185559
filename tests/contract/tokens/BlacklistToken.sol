// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// Its issuer can bar an address, as with USDC.
contract BlacklistToken is ERC20("Blacklist", "BLACK") {
    mapping(address => bool) public barred;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function bar(address account, bool yes) external {
        barred[account] = yes;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!barred[from] && !barred[to], "barred");
        super._update(from, to, amount);
    }
}
