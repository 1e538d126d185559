// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// Does not mean what it says: returns false although it moved the money (as XAUT did), or true although it did not,
/// or something that is no truth value, or nothing that was asked for.
contract MoodyToken is ERC20("Moody", "MOOD") {
    enum Mood {
        Honest,
        SaysFalseAndMoves,
        SaysFalseAndKeeps,
        SaysTrueAndKeeps,
        SaysTwoAndMoves,
        SaysOneByteAndMoves
    }

    Mood public mood;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function be(Mood next) external {
        mood = next;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (_moves()) super.transfer(to, amount);
        return _say();
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (_moves()) super.transferFrom(from, to, amount);
        return _say();
    }

    function _moves() private view returns (bool) {
        return mood != Mood.SaysFalseAndKeeps && mood != Mood.SaysTrueAndKeeps;
    }

    function _say() private view returns (bool) {
        if (mood == Mood.SaysTwoAndMoves) {
            assembly {
                mstore(0, 2)
                return(0, 32)
            }
        }
        if (mood == Mood.SaysOneByteAndMoves) {
            assembly {
                mstore8(0, 1)
                return(0, 1)
            }
        }
        return mood == Mood.Honest || mood == Mood.SaysTrueAndKeeps;
    }
}
