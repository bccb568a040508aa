"""What several faults look at beside the measured run: where a loop's state comes from, the operations behind it, a step of training, another batch."""
