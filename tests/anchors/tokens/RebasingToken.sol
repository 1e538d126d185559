// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// Its issuer can make everybody's balance smaller or larger at once, as with stETH or AMPL.
contract RebasingToken is ERC20("Rebasing", "REBASE") {
    uint256 private parts = 100;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// From now on everybody has so many hundredths of what was minted or sent.
    function rebase(uint256 hundredths) external {
        parts = hundredths;
    }

    function balanceOf(address owner) public view override returns (uint256) {
        return super.balanceOf(owner) * parts / 100;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount * 100 / parts);
    }
}
