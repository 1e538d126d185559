/// The oldest first, nothing before its time, nothing twice.
import Agenda "Agenda";
import Encoding "Encoding";

func id(byte : Blob) : Blob = Encoding.concat([byte, "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10\11\12\13\14\15\16\17\18\19\1a\1b\1c\1d\1e"]);

let agenda = Agenda.new();
let (a, b, c) = (id "a", id "b", id "c");

Agenda.move(agenda, c, Agenda.never, 100);
Agenda.move(agenda, a, Agenda.never, 300);
Agenda.move(agenda, b, Agenda.never, 200);
assert Agenda.due(agenda, 99, 10) == [];
assert Agenda.due(agenda, 100, 10) == [c];
assert Agenda.due(agenda, 1_000, 10) == [c, b, a];
assert Agenda.due(agenda, 1_000, 2) == [c, b];

Agenda.move(agenda, c, 100, 250);
assert Agenda.due(agenda, 1_000, 10) == [b, c, a];
Agenda.move(agenda, b, 200, Agenda.never);
Agenda.move(agenda, a, 300, 300);
assert Agenda.due(agenda, 1_000, 10) == [c, a];
Agenda.move(agenda, c, 250, 2 ** 40); // sorted as a number, not as text
assert Agenda.due(agenda, 2 ** 41, 10) == [a, c];
