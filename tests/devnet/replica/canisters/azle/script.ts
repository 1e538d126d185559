// Runs inside Azle's canister, which is Rust: ic-cdk, its executor and its timers, ic-stable-structures, QuickJS.
import { call, IDL, msgCaller, query, setTimer, StableBTreeMap, update } from "azle";

type Principal = ReturnType<typeof msgCaller>;

export default class {
    count = 0;
    kept = new StableBTreeMap<string, number>(0);

    @query([], IDL.Tuple(IDL.Nat32, IDL.Nat32))
    seen(): [number, number] {
        return [this.count, this.kept.get("count") ?? 0];
    }

    @update([], IDL.Principal)
    who(): Principal {
        return msgCaller();
    }

    @update([], IDL.Nat32)
    bump(): number {
        this.count += 1;
        this.kept.insert("count", this.count);
        return this.count;
    }

    @update([])
    explode(): void {
        this.bump();
        throw new Error("boom");
    }

    @update([])
    arm(): void {
        setTimer(5, () => {
            this.count += 1000;
        });
    }

    // Bumps itself, then calls a method of another canister that takes nothing and gives a number.
    @update([IDL.Principal, IDL.Text], IDL.Nat32)
    async relay(canister: Principal, method: string): Promise<number> {
        this.bump();
        return await call<[], number>(canister, method, { returnIdlType: IDL.Nat32 });
    }
}
